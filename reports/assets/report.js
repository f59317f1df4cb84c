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
  // Orders that were tried: a step shows what has happened until then; the arrow keys walk.
  document.body.classList.add("live");
  for (const article of document.querySelectorAll("article")) {
    const lanes = article.querySelector(".lanes"), tries = article.querySelector(".tries");
    if (!lanes || !tries) continue;
    const every = (root, query) => [...root.querySelectorAll(query)];
    const choose = (order) => {
      for (const part of [...every(tries, ".try, .tab"), ...every(lanes, ".order")])
        part.classList.toggle("on", part.dataset.order === order);
      rest();
    };
    const rest = () => {
      lanes.classList.remove("stepping");
      for (const part of every(article, ".now, .placed, .later")) part.classList.remove("now", "placed", "later");
      for (const point of every(lanes, ".point")) point.classList.add("on");
    };
    const stop = (hop) => {
      const row = hop.closest(".try"), at = +hop.dataset.step;
      rest();
      lanes.classList.add("stepping");
      for (const other of every(row, ".hop")) {
        const step = +other.dataset.step;
        const bar = lanes.querySelector(`.bar[data-op="${other.dataset.op}"]`);
        if (bar && step <= at) bar.classList.add(step === at ? "now" : "placed");
        other.closest("li").classList.toggle("later", step > at);
      }
      hop.classList.add("now");
      for (const point of every(lanes, ".order.on .point")) {
        point.classList.toggle("on", +point.dataset.step <= at);
        point.classList.toggle("now", +point.dataset.step === at);
      }
    };
    for (const tab of every(tries, ".tab")) tab.addEventListener("click", () => choose(tab.dataset.order));
    for (const hop of every(tries, ".hop")) {
      hop.addEventListener("pointerenter", () => stop(hop));
      hop.addEventListener("focus", () => stop(hop));
      hop.addEventListener("click", () => stop(hop));
    }
    tries.addEventListener("pointerleave", () => { if (!tries.contains(document.activeElement)) rest(); });
    tries.addEventListener("focusout", (event) => { if (!tries.contains(event.relatedTarget)) rest(); });
    tries.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const hops = every(tries, ".try.on .hop");
      if (event.key === "Escape") rest();
      if (!step || !hops.length) return;
      event.preventDefault();
      const at = hops.indexOf(document.activeElement);
      hops[Math.max(0, Math.min(hops.length - 1, at + step))].focus();
    });
    choose("0");
  }

  // An arrow of a circle and its reason belong together.
  for (const part of document.querySelectorAll("[data-edge]")) {
    const both = part.closest("figure").querySelectorAll(`[data-edge="${part.dataset.edge}"]`);
    const mark = (on) => () => { for (const one of both) one.classList.toggle("now", on); };
    for (const [name, on] of [["pointerenter", true], ["pointerleave", false], ["focus", true], ["blur", false]])
      part.addEventListener(name, mark(on));
  }

  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
})();
