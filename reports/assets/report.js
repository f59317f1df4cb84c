// Tooltips on hover and focus. Everything they say beyond the page is also in its tables or titles.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  // The browser's own tooltip would cover ours; the sentence stays in aria-label for screen readers.
  for (const title of document.querySelectorAll("svg .hit > title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  for (const title of document.querySelectorAll("svg > title")) title.remove();

  const show = (mark, x, y) => {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(8, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18) + "px";
  };
  const showAt = (mark) => {
    const box = mark.getBoundingClientRect();
    show(mark, box.left, Math.min(box.bottom, innerHeight - 40) - 14);
  };
  const hide = () => {
    tip.hidden = true;
    for (const strip of document.querySelectorAll(".strip.on")) strip.classList.remove("on");
  };
  const marked = (event) => event.target.closest && event.target.closest(".hit[data-tip]");

  addEventListener("pointermove", (event) => {
    const mark = marked(event);
    if (mark) show(mark, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  addEventListener("focusin", (event) => { const mark = marked(event); if (mark) showAt(mark); });
  addEventListener("focusout", hide);
  addEventListener("scroll", hide, { passive: true });

  // Left and right walk through a focused chart.
  for (const chart of document.querySelectorAll(".timeline")) {
    let at = -1;
    chart.addEventListener("keydown", (event) => {
      const strips = chart.querySelectorAll(".strip");
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step || !strips.length) return;
      event.preventDefault();
      hide();
      at = Math.max(0, Math.min(strips.length - 1, at + step));
      strips[at].classList.add("on");
      showAt(strips[at]);
    });
  }
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
})();
