/** Who this is: two gates, and the water that goes through. */
export function Mark() {
  return (
    <span class="mark">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" fill="none" stroke="currentColor">
        <path
          d="M7 4v15M25 4v15M7 8h18M11.500 8v7.500h9V8M4 25c3-3 5-3 8 0s5 3 8 0 5-3 8 0"
          stroke-width="2.600"
          stroke-linecap="round"
          stroke-linejoin="round"
        />
      </svg>
      Sluice
    </span>
  );
}
