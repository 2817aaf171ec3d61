/** Keeps the screen on while files are sent: a device that falls asleep stops sending. */

/** Until the function that it returns is called. Where the browser cannot, or does not want to, nothing happens. */
export function keepAwake(): () => void {
  const wakeLock = (navigator as Partial<Navigator>).wakeLock;
  if (!wakeLock) return () => undefined;
  let wanted = true;
  let lock: WakeLockSentinel | undefined;
  const take = async () => {
    if (document.visibilityState !== "visible") return;
    try {
      const taken = await wakeLock.request("screen");
      if (wanted) lock = taken;
      else await taken.release();
    } catch {
      // The battery is low, or the person does not allow it: sending goes on as long as the device does.
    }
  };
  // A browser takes the lock away when the tab is hidden.
  const again = () => void take();
  document.addEventListener("visibilitychange", again);
  again();
  return () => {
    wanted = false;
    document.removeEventListener("visibilitychange", again);
    void lock?.release();
  };
}
