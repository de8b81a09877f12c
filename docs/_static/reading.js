// What the theme leaves out for people who read without a pointer, or without seeing.
(() => {
  "use strict";
  const name = (selector, label) => {
    for (const one of document.querySelectorAll(selector)) one.setAttribute("aria-label", label);
  };
  // What is wider than the page is scrolled; that needs the focus. What fits needs no stop.
  const reach = () => {
    for (const one of document.querySelectorAll(".table-wrapper, .highlight pre, .drawing")) {
      if (one.scrollWidth > one.clientWidth) {
        one.setAttribute("tabindex", "0");
        one.setAttribute("role", "group");
        one.setAttribute("aria-label", "wider than the page: scroll sideways");
      } else {
        for (const attribute of ["tabindex", "role", "aria-label"]) one.removeAttribute(attribute);
      }
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    name(".sidebar-drawer", "All pages");
    name(".toc-drawer", "On this page");
    reach();
  });
  addEventListener("resize", reach);
})();
