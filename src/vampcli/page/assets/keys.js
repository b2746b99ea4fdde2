"use strict";

/**
 * Play by the space bar, choose versions by 0 to 9, and act by the keys in `more`.
 *
 * @param {TakePlayer} player
 * @param {(index: number) => void} choose a version
 * @param {Object<string, () => void>} more actions by key
 */
function bindKeys(player, choose, more = {}) {
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]):not([type=range]), textarea, select");
    if (event.ctrlKey || event.altKey || event.metaKey || typing) return;
    const control = event.target.closest("button, summary, input[type=checkbox], a");
    if (event.key === " " && !control) player.toggle();
    else if (/^[0-9]$/.test(event.key)) choose(Number(event.key));
    else if (event.key.toLowerCase() in more) more[event.key.toLowerCase()]();
    else return;
    event.preventDefault();
  });
  // A control that was clicked gives the space bar back; one that was reached by keys keeps it.
  document.addEventListener("click", (event) => {
    if (event.detail > 0) event.target.closest("button, summary, input[type=checkbox]")?.blur();
  });
}
