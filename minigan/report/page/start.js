// The page begins: what it shows is in the element "data".

const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;

document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.dispatchEvent(new Event("theme"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));

for (const figure of document.querySelectorAll("[data-chart]")) chart(figure, data.charts[figure.dataset.chart]);
for (const stage of document.querySelectorAll("[data-plane]")) plane(stage, data.plane);
for (const sheets of document.querySelectorAll("[data-film]")) film(sheets, data.film);
for (const heading of document.querySelectorAll("main section > h2")) {
  html("a", document.querySelector("nav"), heading.textContent).href = `#${heading.parentElement.id}`;
}
