// Heat maps: the numbers of a day are said for whoever points at it, taps it or goes there by key.
"use strict";

(() => {
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

  class HeatMap {
    constructor(table) {
      this.said = document.getElementById(table.dataset.heat);
      this.rows = [...table.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("td[title]")]);
      const cells = this.rows.flat();
      if (!cells.length) return;
      cells.forEach((cell) => {
        // An empty cell says nothing to those who listen.
        cell.setAttribute("aria-label", cell.title);
        cell.tabIndex = -1;
      });
      // One stop on the way through the page; from there the arrows go on.
      this.rows.at(0).at(-1).tabIndex = 0;
      table.addEventListener("focusin", (event) => this.go(event.target));
      table.addEventListener("pointerover", (event) => this.say(event.target));
      table.addEventListener("keydown", (event) => this.key(event));
    }

    say(cell) {
      if (!cell.matches("td[title]")) return;
      const series = cell.parentElement.querySelector("th")?.innerText.replace(/\s+/g, " ").trim();
      const words = series ? `${series}, ${cell.title}` : cell.title;
      if (this.said.textContent !== words) this.said.textContent = words;
    }

    go(cell) {
      if (!cell.matches("td[title]")) return;
      this.rows.flat().forEach((each) => { each.tabIndex = each === cell ? 0 : -1; });
      this.say(cell);
    }

    key(event) {
      const step = STEPS[event.key];
      const y = this.rows.findIndex((row) => row.includes(event.target));
      if (y < 0 || !(step || event.key === "Home" || event.key === "End")) return;
      const x = this.rows[y].indexOf(event.target);
      const ends = { Home: 0, End: this.rows[y].length - 1 };
      const next = step ? this.rows[y + step[0]]?.[x + step[1]] : this.rows[y][ends[event.key]];
      event.preventDefault();
      next?.focus();
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-heat]").forEach((table) => new HeatMap(table));
    // On a narrow screen the newest days are what one came for.
    document.querySelectorAll(".b-scroll:has([data-heat])").forEach((box) => { box.scrollLeft = box.scrollWidth; });
  });
})();
