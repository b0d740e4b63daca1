// The page begins: what it shows is in the element "data".

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const night = matchMedia("(prefers-color-scheme: dark)");

document.getElementById("theme").addEventListener("click", () => {
  const now = root.dataset.theme || (night.matches ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
});
night.addEventListener("change", () => document.dispatchEvent(new Event("theme")));

for (const figure of document.querySelectorAll("[data-chart]")) {
  chart(figure, data.charts[figure.dataset.chart]);
}
for (const stage of document.querySelectorAll("[data-plane]")) plane(stage, data.plane);
for (const sheets of document.querySelectorAll("[data-film]")) film(sheets, data.film);
for (const heading of document.querySelectorAll("main section > h2")) {
  html("a", document.querySelector("nav"), heading.textContent).href = `#${heading.parentElement.id}`;
}
