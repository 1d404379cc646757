// Light or dark: what the reader chose last, else what the system says. Runs before the first paint.
"use strict";

(() => {
  const root = document.documentElement;
  const kept = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage is off: the choice lasts as long as the page
    }
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = (theme) => {
    root.dataset.theme = theme ?? (system.matches ? "dark" : "light");
  };
  apply(kept());
  system.addEventListener("change", () => apply(kept()));
  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      const theme = root.dataset.theme === "dark" ? "light" : "dark";
      apply(theme);
      try {
        localStorage.setItem("theme", theme);
      } catch {
        // see above
      }
    });
  });
})();
