// Tables can be sorted by a click on a heading, within their groups; without scripts they stay as
// they are.
for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("tr.titles th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      table.querySelectorAll("[aria-sort]").forEach((x) => x.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => {
        const cell = row.cells[column];
        const value = cell.dataset.value;
        return value === undefined ? cell.textContent : Number(value);
      };
      const missing = (row) => row.cells[column].classList.contains("missing");
      const order = (a, b) => {
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        const [x, y] = [key(a), key(b)];
        const numbers = typeof x === "number" && typeof y === "number";
        const less = numbers ? x - y : String(x).localeCompare(String(y));
        return down ? -less : less;
      };
      for (const body of table.tBodies) {
        body.append(...[...body.rows].filter((r) => !r.classList.contains("group")).sort(order));
      }
    });
  });
}
