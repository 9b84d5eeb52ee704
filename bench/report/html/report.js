// Sorts and filters the tables of a page, switches the snapshot rule, and opens a cell's details in a dialog.
// Without it the page is plain: every table in its own order, under both rules, with the details below.
"use strict";

document.documentElement.classList.add("scripted");

// Sorting: by the first column's text or by a cell's number (data-key); what has no number stands last. The third
// press brings the table's own order back.
function sortable(table) {
  const body = table.tBodies[0];
  const own = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.ariaSort ?? "none"];
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (next !== "none") head.setAttribute("aria-sort", next);
      body.append(...(next === "none" ? own : sorted(own, place, next === "ascending" ? 1 : -1)));
    });
  });
}

function sorted(rows, place, way) {
  const key = (row) => (place === 0 ? row.cells[0].textContent.trim() : row.cells[place].dataset.key);
  const compare = place === 0 ? (a, b) => a.localeCompare(b) : (a, b) => Number(a) - Number(b);
  const kept = rows.filter((row) => key(row) !== "");
  kept.sort((a, b) => way * compare(key(a), key(b)));
  return [...kept, ...rows.filter((row) => key(row) === "")];
}

// Filtering: rows whose name or id holds the text, of the kinds that are ticked; in every table of the page.
function filter(page, tools) {
  const text = tools.elements.filter.value.trim().toLowerCase();
  const boxes = [...tools.querySelectorAll("input[name=kind]")];
  const kinds = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const ids = { shown: new Set(), all: new Set() };
  for (const row of page.querySelectorAll("tr[data-id]")) {
    const named = `${row.dataset.id} ${row.cells[0].textContent}`.toLowerCase();
    row.hidden = !named.includes(text) || (boxes.length > 0 && !kinds.has(row.dataset.kind));
    ids.all.add(row.dataset.id);
    if (!row.hidden) ids.shown.add(row.dataset.id);
  }
  tools.querySelector("output").textContent =
    ids.shown.size === ids.all.size ? "" : `${ids.shown.size} of ${ids.all.size} rows`;
}

function switchRule(page, tools) {
  const chosen = tools.querySelector("input[name=rule]:checked")?.value;
  for (const score of page.querySelectorAll(".score")) {
    const views = [...score.querySelectorAll(".rule")];
    const has = views.some((view) => view.dataset.rule === chosen);
    views.forEach((view) => { view.hidden = has && view.dataset.rule !== chosen; });
  }
}

// A cell's details: moved into the dialog while it is open, so that no id is there twice.
function opener(dialog) {
  const body = dialog.querySelector(".body");
  const title = dialog.querySelector("h2");
  let from = null;
  const back = () => {
    if (from) from.append(...body.childNodes);
    from = null;
  };
  dialog.addEventListener("close", () => {
    back();
    history.replaceState(null, "", location.pathname + location.search);
  });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  return (cell) => {
    back();
    from = cell.querySelector(".body");
    title.textContent = cell.querySelector("summary").textContent;
    body.append(...from.childNodes);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#${cell.id}`);
  };
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".score .rule table, table.sorted, table.index").forEach(sortable);
  for (const page of document.querySelectorAll(".table-page")) {
    const tools = page.querySelector("form.tools");
    if (!tools) continue;
    tools.hidden = false;
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.addEventListener("input", () => { filter(page, tools); switchRule(page, tools); });
    filter(page, tools); // a browser that comes back keeps what was typed
    switchRule(page, tools);
  }
  const dialog = document.querySelector("dialog");
  if (!dialog) return;
  const open = opener(dialog);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("td a[href^='#']");
    const cell = link && document.getElementById(link.hash.slice(1));
    if (!cell || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(cell);
  });
  const named = () => {
    const place = document.getElementById(location.hash.slice(1));
    if (place?.matches("details.cell")) open(place);
  };
  window.addEventListener("hashchange", named);
  named();
});
