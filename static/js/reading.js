// A search in the long texts of a page: what is found is marked, and the folds it is in are opened.
"use strict";

(() => {
  const LEAST_LETTERS = 2;
  const MOST_HITS = 1_000;
  const WAIT_MS = 150;

  // <text-search> stands beside [data-texts]; without scripts it stays hidden, and the browser's
  // own search finds what is folded too.
  class TextSearch extends HTMLElement {
    connectedCallback() {
      this.root = document.querySelector("[data-texts]");
      this.input = this.querySelector("input");
      this.says = this.querySelector("output");
      if (!this.root || !this.input) return;
      this.hits = [];
      this.opened = new Set();
      this.hidden = false;
      this.input.addEventListener("input", () => {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.search(), WAIT_MS);
      });
      this.input.addEventListener("keydown", (event) => this.key(event));
      this.querySelectorAll("button").forEach((button) => {
        button.addEventListener("click", () => this.go(Number(button.value)));
      });
    }

    key(event) {
      if (event.key === "Escape") this.input.value = "";
      else if (event.key !== "Enter") return;
      event.preventDefault();
      clearTimeout(this.timer);
      if (this.input.value.trim() !== this.term) this.search();
      else this.go(event.shiftKey ? -1 : 1);
    }

    search() {
      this.clear();
      this.term = this.input.value.trim();
      this.at = -1;
      if (this.term.length >= LEAST_LETTERS) this.mark();
      if (this.hits.length) this.go(1);
      else this.say();
    }

    clear() {
      this.hits.forEach((hit) => {
        const parent = hit.parentNode;
        hit.replaceWith(...hit.childNodes);
        parent.normalize();
      });
      this.hits = [];
      this.opened.forEach((fold) => { fold.open = false; });
      this.opened.clear();
    }

    mark() {
      const wanted = new RegExp(this.term.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "gi");
      const walker = document.createTreeWalker(this.root, NodeFilter.SHOW_TEXT);
      const found = [];
      let count = 0;
      while (count < MOST_HITS && walker.nextNode()) {
        const places = [...walker.currentNode.data.matchAll(wanted)].slice(0, MOST_HITS - count);
        if (places.length) found.push([walker.currentNode, places]);
        count += places.length;
      }
      found.forEach(([node, places]) => {
        const marks = places.reverse().map((place) => {
          const hit = document.createElement("mark");
          hit.className = "b-hit";
          const rest = node.splitText(place.index);
          rest.splitText(place[0].length);
          rest.replaceWith(hit);
          hit.append(rest);
          return hit;
        });
        this.hits.push(...marks.reverse());
      });
    }

    go(step) {
      if (!this.hits.length) return;
      this.hits[this.at]?.classList.remove("b-now-here");
      this.at = (this.at + step + this.hits.length) % this.hits.length;
      const hit = this.hits[this.at];
      for (let fold = hit.closest("details"); fold; fold = fold.parentElement.closest("details")) {
        if (!fold.open) {
          fold.open = true;
          this.opened.add(fold);
        }
      }
      hit.classList.add("b-now-here");
      hit.scrollIntoView({ block: "center" });
      this.say();
    }

    say() {
      const most = this.hits.length === MOST_HITS ? "+" : "";
      if (!this.term || this.term.length < LEAST_LETTERS) this.says.textContent = "";
      else if (!this.hits.length) this.says.textContent = "Not found";
      else this.says.textContent = `${this.at + 1} of ${this.hits.length.toLocaleString("en-US")}${most}`;
    }
  }

  customElements.define("text-search", TextSearch);
})();
