// Sample sheets through training; of several runs, each with its last one up to the slider's step.

function film(root, films) {
  const images = [...root.querySelectorAll("img[data-key]")];
  const steps = [...new Set(Object.values(films).flatMap((f) => f.steps))].sort((a, b) => a - b);
  player(root, steps, (_, step) => {
    for (const image of images) {
      const one = films[image.dataset.key];
      const there = one ? one.steps.filter((s) => s <= step).length - 1 : -1;
      image.hidden = there < 0;
      if (there < 0) continue;
      image.src = one.pictures[there];
      const told = image.parentElement.querySelector("[data-step]");
      if (told) told.textContent = `at step ${one.steps[there].toLocaleString("en")}`;
    }
  });
}
