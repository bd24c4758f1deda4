"use strict";
// The tables of runs: sorted and filtered in memory, drawn as far as they are seen.
{
  const ROW = 34; // Height of a row in pixels, until one is there to be measured.
  const SPARE = 12; // Rows drawn above and below what is seen.
  const PRINTED = 500; // Rows on paper: a page of ten thousand is a book.

  const collator = new Intl.Collator("en", { numeric: true });
  const digits = { document: 0, percent: 2, fraction: 4 };

  /** A score as the rest of the page writes it. */
  const score = (value, format) => {
    if (format === "document") return String(Math.floor(value * 1e5 + 1e-6));
    return (format === "percent" ? value * 100 : value).toFixed(digits[format]);
  };

  const show = (section) => {
    const find = (name) => section.querySelector(`[data-${name}]`);
    const known = JSON.parse(find("json").textContent);
    if (!known) return;
    const { rows, outcomes, causes, format } = known;
    const fraction = (value) => (value === null ? "-" : score(value, format));
    const number = (value) => (value === null ? "-" : String(value));
    // Of each column: what it is sorted by, and what is shown.
    const columns = [
      { by: (run) => rows[run[0]][0] },
      { by: (run) => rows[run[0]][1] },
      { by: (run) => run[1], number: true },
      { by: (run) => outcomes[run[2]] },
      { by: (run) => run[3], shown: fraction, number: true },
      { by: (run) => run[4], shown: fraction, number: true },
      { by: (run) => run[5], shown: number, number: true },
      { by: (run) => run[6], shown: number, number: true },
      { by: (run) => run[7], shown: (value) => (value === null ? "-" : value.toFixed(1)), number: true },
      { by: (run) => run[8] },
    ];
    const text = known.runs.map((run) =>
      ["", rows[run[0]][0], rows[run[0]][1], `seed ${run[1]}`, outcomes[run[2]], run[8],
        run[9] === null ? "" : causes[run[9]], ""].join(" ").toLowerCase());
    const view = find("window");
    const body = find("body");
    const filter = find("filter");
    const outcome = find("outcome");
    const table = body.parentElement;
    const all = known.runs.map((_, at) => at);
    let seen = all;
    let sorted = null; // { column, down }
    let height = ROW;
    let drawn = "";

    const cell = (column, run) => {
      const td = document.createElement("td");
      const value = column.by(run);
      td.textContent = column.shown ? column.shown(value) : String(value);
      if (column.number) td.className = "number";
      return td;
    };

    const line = (at) => {
      const run = known.runs[seen[at]];
      const tr = document.createElement("tr");
      tr.setAttribute("aria-rowindex", String(at + 2));
      for (const column of columns) tr.append(cell(column, run));
      if (run[9] !== null) {
        tr.cells[3].className = "failed";
        tr.cells[3].title = causes[run[9]];
      }
      return tr;
    };

    const gap = (rows) => {
      const tr = document.createElement("tr");
      tr.className = "gap";
      tr.setAttribute("aria-hidden", "true");
      const td = document.createElement("td");
      td.colSpan = columns.length;
      td.style.height = `${rows * height}px`;
      tr.append(td);
      return tr;
    };

    const lines = (from, to) => seen.slice(from, to).map((_, at) => line(from + at));

    /** On paper nothing is scrolled: the first rows, and how many more there are. */
    const print = () => {
      const rows = lines(0, PRINTED);
      if (seen.length > PRINTED) {
        const more = gap(0);
        more.cells[0].textContent = `and ${seen.length - PRINTED} more, in runs.csv`;
        rows.push(more);
      }
      body.replaceChildren(...rows);
    };

    const draw = () => {
      const first = Math.floor(view.scrollTop / height);
      const fit = Math.ceil((view.clientHeight || 480) / height);
      const from = Math.max(0, Math.min(first, seen.length - fit) - SPARE);
      const to = Math.min(seen.length, first + fit + SPARE);
      const now = `${from} ${to}`;
      if (now === drawn) return;
      drawn = now;
      const rows = lines(from, to);
      if (from > 0) rows.unshift(gap(from));
      if (to < seen.length) rows.push(gap(seen.length - to));
      body.replaceChildren(...rows);
      const real = body.querySelector("tr:not(.gap)");
      if (real && Math.abs(real.offsetHeight - height) > 1 && real.offsetHeight > 0) {
        height = real.offsetHeight;
        drawn = "";
        draw();
      }
    };

    const compare = (one, other) => {
      if (one === null || other === null) return (one === null) - (other === null);
      return typeof one === "number" ? one - other : collator.compare(one, other);
    };

    const update = () => {
      // A number is meant whole, and `seed 3` together: neither seed 30 nor a level 3.
      const words = (filter.value.toLowerCase().match(/seed\s+\d+|\S+/g) ?? [])
        .map((word) => (/^(seed\s+)?[\d.]+$/.test(word) ? ` ${word.replace(/\s+/, " ")} ` : word));
      const wanted = outcome.value;
      seen = all.filter((at) =>
        words.every((word) => text[at].includes(word)) &&
        (wanted === "" || outcomes[known.runs[at][2]] === wanted));
      if (sorted) {
        const { by } = columns[sorted.column];
        const way = sorted.down ? -1 : 1;
        seen.sort((one, other) => {
          const [left, right] = [by(known.runs[one]), by(known.runs[other])];
          // What is not known stays below, whichever way.
          if (left === null || right === null) return compare(left, right) || one - other;
          return way * compare(left, right) || one - other;
        });
      }
      const count = known.runs.length;
      find("count").textContent =
        seen.length === count ? `${count} runs` : `${seen.length} of ${count} runs`;
      table.setAttribute("aria-rowcount", String(seen.length + 1));
      view.scrollTop = 0;
      drawn = "";
      draw();
    };

    const headings = [...section.querySelectorAll("[data-sort]")];
    headings.forEach((button, column) => {
      button.addEventListener("click", () => {
        sorted = { column, down: sorted?.column === column && !sorted.down };
        headings.forEach((other, at) => other.parentElement.setAttribute("aria-sort",
          at !== column ? "none" : sorted.down ? "descending" : "ascending"));
        update();
      });
    });
    let waiting = 0;
    view.addEventListener("scroll", () => {
      cancelAnimationFrame(waiting);
      waiting = requestAnimationFrame(draw);
    }, { passive: true });
    filter.addEventListener("input", update);
    outcome.addEventListener("change", update);
    window.addEventListener("beforeprint", print);
    window.addEventListener("afterprint", () => { drawn = ""; draw(); });
    update();
  };

  document.querySelectorAll("[data-runs]").forEach(show);
}
