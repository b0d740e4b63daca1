// Play, pause, one back, one on, and a slider: whoever it plays for is told which frame to show.

function player(root, steps, show) {
  const box = root.querySelector(".player");
  const slider = box.querySelector("input");
  const output = box.querySelector("output");
  const play = box.querySelector(".play");
  const pause = matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 140; // ms a frame
  let timer = null;

  function go(to) {
    slider.value = Math.min(steps.length - 1, Math.max(0, to));
    const step = steps[slider.value];
    output.textContent = `step ${step.toLocaleString("en")}`;
    slider.setAttribute("aria-valuetext", output.textContent);
    show(Number(slider.value), step);
  }

  function halt() {
    clearInterval(timer);
    timer = null;
    box.removeAttribute("data-playing");
    play.setAttribute("aria-label", "play");
  }

  function start() {
    if (Number(slider.value) === steps.length - 1) go(0);
    box.setAttribute("data-playing", "");
    play.setAttribute("aria-label", "pause");
    timer = setInterval(() => {
      go(Number(slider.value) + 1);
      if (Number(slider.value) === steps.length - 1) halt();
    }, pause);
  }

  slider.max = steps.length - 1;
  slider.addEventListener("input", () => { halt(); go(Number(slider.value)); });
  play.addEventListener("click", () => (timer === null ? start() : halt()));
  box.querySelector(".back").addEventListener("click", () => { halt(); go(Number(slider.value) - 1); });
  box.querySelector(".on").addEventListener("click", () => { halt(); go(Number(slider.value) + 1); });
  go(steps.length - 1);
}
