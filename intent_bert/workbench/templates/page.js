"use strict";
// Sorts and filters the tables and opens the cells of matrices. Without it every row is there, unsorted.
(() => {
  const AT_FIRST = 50; // rows of a table that are shown before "Show more"
  document.documentElement.classList.add("js");

  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.hasAttribute("data-none")) return null;
    return cell.hasAttribute("data-v") ? Number(cell.getAttribute("data-v")) : cell.textContent;
  };

  // Numbers by size, texts as people sort them; empty cells last, whichever way.
  const compare = (a, b, sign) => {
    if (a === null || b === null) return (a === null) - (b === null);
    if (typeof a === "number" && typeof b === "number") return sign * (a - b);
    return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
  };

  const table = (place) => {
    const body = place.querySelector("tbody"), input = place.querySelector("input"), more = place.querySelector(".more");
    const told = place.querySelector(".count"), heads = [...place.querySelectorAll("thead th")];
    let rows = [...body.rows], shown = AT_FIRST;
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const numbers = heads.map((_, column) => rows.some((row) => row.cells[column].hasAttribute("data-v")));
    heads.forEach((head, column) => head.classList.toggle("number", numbers[column]));

    const draw = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fitting = rows.filter((row) => words.every((word) => texts.get(row).includes(word)));
      const visible = new Set(fitting.slice(0, shown));
      for (const row of rows) row.hidden = !visible.has(row);
      more.hidden = fitting.length <= shown;
      more.textContent = `Show more (${(fitting.length - visible.size).toLocaleString("en")} left)`;
      const all = rows.length.toLocaleString("en");
      told.textContent = words.length ? `${fitting.length.toLocaleString("en")} of ${all} rows` : `${all} rows`;
    };

    const sort = (column) => {
      const head = heads[column], now = head.getAttribute("aria-sort"), first = numbers[column] ? "descending" : "ascending";
      const next = now === null ? first : now === "ascending" ? "descending" : "ascending";
      for (const each of heads) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", next);
      const sign = next === "ascending" ? 1 : -1, values = new Map(rows.map((row) => [row, value(row, column)]));
      rows.sort((a, b) => compare(values.get(a), values.get(b), sign));
      body.append(...rows);
      draw();
    };

    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => sort(column)));
    input.addEventListener("input", () => { shown = AT_FIRST; draw(); });
    more.addEventListener("click", () => { shown = shown * 4; draw(); });
    draw();
  };

  const element = (name, text, kind) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };

  // A cell of a list: a text, or pieces with the names of their shades.
  const listed = (cell, wide) => {
    if (!Array.isArray(cell)) return element("td", cell, wide ? "sentence" : "");
    const made = element("td", undefined, "sentence");
    for (const [piece, shade] of cell) made.append(shade ? element("mark", piece, shade) : piece);
    return made;
  };

  const matrix = (place) => {
    const data = JSON.parse(place.querySelector("script").textContent), list = place.querySelector(".opened");
    const open = (row, column, scroll) => {
      const button = place.querySelector(`td button[data-row="${row}"][data-column="${column}"]`);
      for (const each of place.querySelectorAll("button.on")) each.classList.remove("on");
      if (button) button.classList.add("on");
      const words = { row: data.rows[row], column: data.columns[column], count: button ? button.textContent : "0" };
      const title = data.rows[row] === data.columns[column] ? data.same : data.opened;
      list.replaceChildren(element("h3", title.replace(/\{(row|column|count)\}/g, (_, name) => words[name])));
      const sentences = data.sentences[`${row},${column}`] || [], rows = element("table", undefined, "rows");
      const head = element("tr"), body = element("tbody");
      data.heads.forEach((name) => head.append(element("th", name)));
      rows.append(element("thead")), rows.tHead.append(head), rows.append(body);
      for (const cells of sentences) {
        const line = element("tr");
        cells.forEach((cell, number) => line.append(listed(cell, data.wide[number])));
        body.append(line);
      }
      const frame = element("div", undefined, "scroll");
      frame.append(rows);
      if (sentences.length) list.append(frame);
      const left = Number(words.count) - sentences.length;
      if (left > 0) list.append(element("p", `${left.toLocaleString("en")} more are not in this page.`, "note"));
      if (scroll) list.scrollIntoView({ block: "nearest" }), list.focus({ preventScroll: true });
    };
    place.addEventListener("click", (event) => {
      const button = event.target.closest("td button[data-row]");
      if (button && !list.contains(button)) open(button.dataset.row, button.dataset.column, false);
    });
    return open;
  };

  const matrices = new Map([...document.querySelectorAll(".matrix")].map((each) => [each.dataset.name, matrix(each)]));
  document.querySelectorAll(".table").forEach(table);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.pick");
    if (button && matrices.has(button.dataset.matrix)) {
      matrices.get(button.dataset.matrix)(button.dataset.row, button.dataset.column, true);
    }
  });
})();
