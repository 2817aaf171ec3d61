/** Who this is: a gate that is up, and below it the water, which goes through as a tick. */

import icon from "../icon.svg";

export function Mark() {
  return (
    <span class="mark">
      <img src={icon} width="32" height="32" alt="" />
      Sluice
    </span>
  );
}
