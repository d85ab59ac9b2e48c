// Times in the viewer's zone, ages that stay true, and pages that refresh themselves.
"use strict";

(() => {
  const AGE_EVERY_MS = 10_000;

  function spanWords(seconds) {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(seconds / 3_600);
    const days = Math.floor(seconds / 86_400);
    if (minutes < 60) return `${minutes} min`;
    if (hours < 24) {
      return hours < 6 && minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
    }
    if (days < 7 && hours % 24) return `${days} d ${hours % 24} h`;
    return `${days.toLocaleString("en-US")} d`;
  }

  function pad(number) {
    return String(number).padStart(2, "0");
  }

  function localWords(date, seconds) {
    const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
    const time = `${pad(date.getHours())}:${pad(date.getMinutes())}`;
    return seconds ? `${day} ${time}:${pad(date.getSeconds())}` : `${day} ${time}`;
  }

  function utcWords(date) {
    return `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }

  function showTime(element) {
    const date = new Date(element.dateTime);
    if (Number.isNaN(date.getTime())) return;
    if (!element.dataset.shown) {
      element.title = `${localWords(date, true)} here\n${utcWords(date)}`;
      element.dataset.shown = "1";
      if (element.dataset.local === "exact") {
        element.textContent = `${localWords(date, true)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
      } else if (element.hasAttribute("data-local")) {
        element.textContent = localWords(date, false);
      }
    }
    if (element.hasAttribute("data-age")) {
      const seconds = (Date.now() - date.getTime()) / 1000;
      const words = spanWords(Math.abs(seconds));
      element.textContent = seconds >= 0 ? `${words} ago` : `in ${words}`;
    }
  }

  function showTimes(root) {
    root.querySelectorAll("time[data-age], time[data-local], time[data-hover]").forEach(showTime);
  }

  // What a panel says, its running ages left out: only a panel that says something new is redrawn.
  function gist(panel) {
    const copy = panel.cloneNode(true);
    copy.querySelectorAll("time").forEach((time) => time.replaceWith(time.dateTime));
    copy.querySelectorAll("[name=csrfmiddlewaretoken]").forEach((token) => token.remove());
    return copy.innerHTML;
  }

  // What a node is, whatever it says: rows by their key, links and forms by where they lead.
  function identity(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return node.nodeName;
    const key = node.dataset.key ?? node.getAttribute("href") ?? node.getAttribute("action") ?? "";
    return `${node.nodeName} ${key}`;
  }

  // Elements that a script has drawn or worded since; they are kept or exchanged as a whole.
  function source(element) {
    if (element.nodeName === "TIME") return element.dateTime;
    return element.querySelector("script")?.textContent ?? "";
  }

  // Makes `old` say what `fresh` says and touches nothing else: what is folded open, selected,
  // scrolled or focused stays so.
  function adapt(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeName === "TIME" || old.nodeName.includes("-")) {
      if (source(old) !== source(fresh)) old.replaceWith(document.importNode(fresh, true));
      return;
    }
    const folds = old.nodeName === "DETAILS";
    [...old.attributes].forEach(({ name }) => {
      if (!fresh.hasAttribute(name) && !(folds && name === "open")) old.removeAttribute(name);
    });
    [...fresh.attributes].forEach(({ name, value }) => {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    });
    const left = [...old.childNodes];
    const pairs = [...fresh.childNodes].map((wanted) => {
      const at = left.findIndex((each) => identity(each) === identity(wanted));
      return [wanted, at < 0 ? null : left.splice(at, 1)[0]];
    });
    left.forEach((each) => each.remove());
    let place = old.firstChild;
    pairs.forEach(([wanted, found]) => {
      if (!found) {
        old.insertBefore(document.importNode(wanted, true), place);
        return;
      }
      if (found === place) place = place.nextSibling;
      else old.insertBefore(found, place);
      adapt(found, wanted);
    });
  }

  // A page that fetches its own panels anew every few seconds until it is told that all is over.
  class Live {
    constructor(root) {
      this.root = root;
      this.status = root.querySelector("[data-live-status]");
      this.every = Number(root.dataset.every) * 1000;
      this.rightAt = new Date();
      this.failed = false;
      this.over = false;
      this.timer = null;
      this.gists = new Map();
      root.querySelectorAll("[data-panel]").forEach((panel) => {
        this.gists.set(panel.dataset.panel, gist(panel));
      });
      showTimes(root);
      document.addEventListener("visibilitychange", () => this.wake());
      setInterval(() => this.say(), 1000);
      this.plan();
    }

    wake() {
      clearTimeout(this.timer);
      if (!document.hidden && !this.over) this.refresh();
    }

    plan() {
      clearTimeout(this.timer);
      if (!document.hidden && !this.over) this.timer = setTimeout(() => this.refresh(), this.every);
    }

    async refresh() {
      try {
        const answer = await fetch(this.root.dataset.url, {
          headers: { "X-Requested-With": "fetch" },
          signal: AbortSignal.timeout(Math.max(this.every, 10_000)),
        });
        if (answer.redirected || answer.status === 403) {
          this.failed = "You are logged out: reload to log in.";
        } else if (answer.status === 404) {
          this.failed = "It is gone.";
        } else if (!answer.ok) {
          this.failed = "Cannot be refreshed just now.";
        } else {
          this.replace(await answer.text());
          this.rightAt = new Date();
          this.failed = false;
        }
      } catch {
        this.failed = "The server does not answer.";
      }
      this.say();
      this.plan();
    }

    replace(html) {
      const fresh = new DOMParser().parseFromString(html, "text/html");
      fresh.querySelectorAll("[data-panel]").forEach((panel) => {
        const name = panel.dataset.panel;
        const words = gist(panel);
        if (this.gists.get(name) === words) return;
        const old = this.root.querySelector(`[data-panel="${CSS.escape(name)}"]`);
        if (!old) return;
        this.gists.set(name, words);
        adapt(old, panel);
      });
      showTimes(this.root);
      this.over = fresh.querySelector("[data-live-over]") !== null;
    }

    say() {
      const words = this.over ? "It is over; this page no longer changes" : this.words();
      // Who listens to the page is told once, not every second.
      if (this.status.textContent !== words) this.status.textContent = words;
      this.root.classList.toggle("b-outdated", Boolean(this.failed));
    }

    words() {
      const seconds = Math.max((Date.now() - this.rightAt.getTime()) / 1000, 0);
      const when = seconds < 5 ? "just now" : `${spanWords(seconds)} ago`;
      return this.failed ? `${this.failed} Last right ${when}.` : `Right as of ${when}`;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    showTimes(document);
    setInterval(() => showTimes(document), AGE_EVERY_MS);
    // The theme opens its menu and its filters from elements that the keyboard does not reach.
    document.querySelectorAll("a[x-on\\:click]:not([href]), #header-inner span[x-on\\:click]").forEach((element) => {
      element.tabIndex = 0;
      element.setAttribute("role", "button");
      if (element.textContent.trim() === "dock_to_right") element.setAttribute("aria-label", "Menu");
      element.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        element.click();
      });
    });
    // On a phone the theme takes a first column that is no link for the box to tick.
    const firstTitle = document.querySelector("#result_list > thead th")?.textContent.trim();
    document.querySelectorAll("#result_list tr > td:first-child:not(.action-checkbox)").forEach((cell) => {
      if (firstTitle) cell.dataset.label = firstTitle;
    });
    // Figures stand at the right of their column; so does its heading.
    document.querySelectorAll("#result_list > tbody:first-of-type > tr:first-child > *").forEach((cell, place) => {
      if (!cell.querySelector(":scope > span.b-num")) return;
      document.querySelectorAll("#result_list > thead th")[place]?.classList.add("b-r");
    });
    const live = document.querySelector("[data-live]");
    if (live) new Live(live);
  });
})();
