(() => {
  const root = document.documentElement, timeline = document.querySelector(".timeline");
  const shown = document.querySelector(".moment-at");
  const axes = [...document.querySelectorAll(".axis")];
  const point = (x, axis) => {
    const box = axis.getBoundingClientRect(), share = (x - box.left) / box.width;
    const on = share >= 0 && share <= 1;
    root.classList.toggle("pointed", on);
    if (!on) { shown.textContent = ""; return; }
    root.style.setProperty("--cursor", (100 * share).toFixed(3));
    shown.textContent = (share * Number(axis.dataset.whole)).toFixed(3) + " s";
  };
  for (const axis of axes) {
    const area = axis.classList.contains("overlay") ? timeline : axis;
    area.addEventListener("pointermove", event => point(event.clientX, axis));
    area.addEventListener("pointerleave", () => { root.classList.remove("pointed"); shown.textContent = ""; });
  }
  let zoom = 1;
  for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => {
    const box = timeline.parentElement;
    const middle = (box.scrollLeft + box.clientWidth / 2) / zoom;
    zoom = Math.min(64, Math.max(1, zoom * (button.dataset.zoom === "in" ? 2 : 0.5)));
    timeline.style.width = zoom * 100 + "%";
    box.scrollLeft = middle * zoom - box.clientWidth / 2;
  });
})();
