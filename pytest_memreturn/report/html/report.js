"use strict";
// The page is whole without this: it adds filters, an order of one's own, and rows that close.
document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => {
  const table = document.getElementById("tests");
  const filter = document.getElementById("filter");
  const status = document.getElementById("shown");
  const none = document.getElementById("none");
  const count = new Intl.NumberFormat("en");
  const NAME = 4;

  // What is asked of every row again and again is read from the page once.
  let entries = Array.from(table.tBodies, (body) => {
    const cells = body.rows[0].cells;
    const why = cells[3].textContent;
    const name = cells[NAME].textContent;
    const sizes = [0, 1, 2].map((column) => cells[column].dataset.bytes);
    return {
      body,
      verdict: body.dataset.verdict,
      text: `${name} ${why}`.toLowerCase(),
      keys: [...sizes.map((size) => (size === undefined ? null : Number(size))), why, name],
    };
  });

  function show() {
    const verdict = document.querySelector('input[name="verdict"]:checked').value;
    const words = filter.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const { body, verdict: own, text } of entries) {
      const matches = (verdict === "all" || verdict === own)
        && words.every((word) => text.includes(word));
      body.hidden = !matches;
      shown += matches;
    }
    status.textContent = `${count.format(shown)} of ${count.format(entries.length)} shown`;
    none.hidden = shown > 0;
  }

  // What has no figure comes last, whichever way round.
  function sort(column, descending) {
    const sign = descending ? -1 : 1;
    entries.sort(({ keys: { [column]: one } }, { keys: { [column]: other } }) => {
      if (one === null || other === null) return (one === null) - (other === null);
      return sign * (one < other ? -1 : Number(one > other));
    });
    table.append(...entries.map(({ body }) => body));
  }

  function toggle(button) {
    const opens = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(opens));
    button.closest("tbody").classList.toggle("open", opens);
  }

  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button === null) return;
    if (button.dataset.column === undefined) return void toggle(button);
    const column = Number(button.dataset.column);
    const heading = button.parentElement;
    // Sizes begin with the largest, words with A.
    const current = heading.getAttribute("aria-sort");
    const descending = current === null ? column < 3 : current === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort(column, descending);
  });
  // A browser may restore what was typed before a reload.
  for (const type of ["input", "change"]) document.querySelector(".controls").addEventListener(type, show);
  show();
});
