"use strict";
// Shows a window of the table of all runs, sorted and filtered, and changes between light and dark.
(() => {
  const theme = document.querySelector("button.theme");
  const names = ["auto", "light", "dark"];
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "auto";
    const next = names[(names.indexOf(now) + 1) % names.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    theme.textContent = `Colours: ${next}`;
  });

  const data = document.getElementById("runs-data");
  if (!data) return;
  const { columns, values } = JSON.parse(data.textContent);
  const frame = document.querySelector(".window");
  const body = frame.querySelector("tbody");
  const search = document.querySelector("input[type=search]");
  const found = document.querySelector(".found");
  const format = frame.dataset.format;
  const total = values.length === 0 ? 0 : (values[0].of ?? values[0]).length;
  const cells = values.map((column) =>
    column.words ? (run) => column.words[column.of[run]] : (run) => column[run]);

  const score = {
    document: (value) => String(Math.floor(value * 1e5 + 1e-6)),
    percent: (value) => (value * 100).toFixed(2),
    fraction: (value) => value.toFixed(4),
  }[format];
  const writers = {
    text: (value) => value,
    whole: (value) => String(value),
    score,
    seconds: (value) => value.toFixed(1),
  };
  const shown = (column, run) => {
    const value = cells[column](run);
    return value === null ? "" : writers[columns[column].kind](value);
  };

  const all = Array.from({ length: total }, (_, run) => run);
  // What a search looks through, made once.
  let texts = null;
  let order = all;
  let sorting = null;

  const compare = (column, direction) => (one, other) => {
    const [a, b] = [cells[column](one), cells[column](other)];
    // What is not known comes last either way.
    if (a === null || b === null) return (a === null) - (b === null) || one - other;
    const less = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return direction * less || one - other;
  };

  const arrange = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length > 0) {
      texts ??= all.map((run) => columns.map((_, column) => shown(column, run)).join("\n").toLowerCase());
      order = all.filter((run) => words.every((word) => texts[run].includes(word)));
    } else {
      order = all.slice();
    }
    if (sorting) order.sort(compare(sorting.column, sorting.direction));
    found.textContent = words.length > 0 ? `${order.length} of ${total} runs` : `${total} runs`;
    frame.querySelector("table").setAttribute("aria-rowcount", String(order.length + 1));
    frame.scrollTop = 0;
    draw();
  };

  const gap = (rows) => {
    const row = document.createElement("tr");
    row.className = "gap";
    row.setAttribute("aria-hidden", "true");
    const cell = document.createElement("td");
    cell.colSpan = columns.length;
    cell.style.height = `${rows * height}px`;
    row.append(cell);
    return row;
  };
  const line = (place) => {
    const row = document.createElement("tr");
    row.setAttribute("aria-rowindex", String(place + 2));
    columns.forEach(({ kind }, column) => {
      const cell = document.createElement("td");
      if (kind !== "text") cell.className = "number";
      cell.textContent = shown(column, order[place]);
      row.append(cell);
    });
    return row;
  };

  let height = 33;
  let drawn = "";
  const draw = (most = 0) => {
    const room = Math.ceil(frame.clientHeight / height);
    const first = Math.max(0, Math.floor(frame.scrollTop / height) - 10);
    const last = Math.min(order.length, Math.max(first + room + 20, most));
    const now = [first, last, sorting?.column, sorting?.direction, search.value].join();
    if (now === drawn) return;
    drawn = now;
    const rows = [];
    if (first > 0) rows.push(gap(first));
    for (let place = first; place < last; place += 1) rows.push(line(place));
    if (last < order.length) rows.push(gap(order.length - last));
    body.replaceChildren(...rows);
    const real = body.querySelector("tr:not(.gap)");
    if (real) height = real.getBoundingClientRect().height || height;
  };

  frame.querySelectorAll("th button").forEach((button, column) => {
    button.addEventListener("click", () => {
      const direction = sorting?.column === column ? -sorting.direction : 1;
      sorting = { column, direction };
      frame.querySelectorAll("th").forEach((heading, other) => {
        if (other !== column) heading.removeAttribute("aria-sort");
        else heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
      });
      arrange();
    });
  });
  search.addEventListener("input", arrange);
  frame.addEventListener("scroll", () => draw(), { passive: true });
  addEventListener("resize", () => draw());
  // On paper there is nothing to scroll.
  addEventListener("beforeprint", () => draw(500));
  document.querySelector(".tools").hidden = false;
  arrange();
})();
