// Search over all names of the protocol, and the way to what was found.
"use strict";

const most = 30;

// The entries [name, kind, about, href] that hold every word of the query: best first, a name before a description.
function find(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return [];
  }
  const scored = [];
  entries.forEach((entry, at) => {
    const name = entry[0].toLowerCase();
    const about = `${entry[1]} ${entry[2]}`.toLowerCase();
    let score = entry[1] === "member" ? 2 : 0;
    for (const word of words) {
      const place = name.indexOf(word);
      if (name === word) {
        score -= 4;
      } else if (place === 0) {
        score += 1;
      } else if (place > 0) {
        score += /[^a-z0-9]/.test(name[place - 1]) ? 2 : 4;
      } else if (about.includes(word)) {
        score += 16;
      } else {
        return;
      }
    }
    scored.push([score, name.length, at, entry]);
  });
  scored.sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
  return scored.slice(0, most).map((row) => row[3]);
}

function start() {
  const input = document.getElementById("search");
  const list = document.getElementById("found");
  let chosen = -1;

  const mark = (at) => {
    const links = list.querySelectorAll("a");
    chosen = links.length === 0 ? -1 : (at + links.length) % links.length;
    links.forEach((link, index) => link.classList.toggle("chosen", index === chosen));
    links[chosen]?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    list.hidden = true;
    chosen = -1;
  };
  const show = () => {
    const found = find(window.entries, input.value);
    list.replaceChildren(
      ...found.map(([name, kind, about, href]) => {
        const item = document.createElement("li");
        const link = document.createElement("a");
        link.href = href;
        for (const [tag, text] of [["code", name], ["span", kind], ["small", about]]) {
          const part = document.createElement(tag);
          part.textContent = text;
          link.append(part);
        }
        item.append(link);
        return item;
      }),
    );
    if (found.length === 0 && input.value.trim() !== "") {
      const item = document.createElement("li");
      item.className = "nothing";
      item.textContent = "Nothing of this name";
      list.append(item);
    }
    list.hidden = list.childElementCount === 0;
    mark(0);
  };

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      mark(chosen + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter") {
      list.querySelector("a.chosen")?.click();
    } else if (event.key === "Escape") {
      input.blur();
      close();
    }
  });
  list.addEventListener("click", close);
  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) {
      close();
    }
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
    }
  });
}

if (typeof document !== "undefined") {
  start();
} else {
  module.exports = { find };
}
