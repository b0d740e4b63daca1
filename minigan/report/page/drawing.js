"use strict";
// What charts and the plane are drawn with: nodes, numbers as text, the ticks of an axis.

function make(name, attributes, parent, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.append(node);
  return node;
}

function html(name, parent, text = "") {
  const node = document.createElement(name);
  node.textContent = text;
  parent.append(node);
  return node;
}

// Nine digits, which tell any two numbers of 32 bits apart.
function exact(value) {
  if (value === null || value === undefined) return "–";
  return String(Number(value.toPrecision(9)));
}

function short(value) {
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e6) return value.toLocaleString("en");
  if (!size || (size >= 1e-3 && size < 1000)) return String(Number(value.toPrecision(3)));
  const [digits, power] = value.toExponential(2).split("e");
  const raised = [...String(Number(power))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻").join("");
  return (Number(digits) === 1 ? "" : `${Number(digits)}·`) + `10${raised}`;
}

function ticks(low, high, count, whole) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) found.push(i * step);
  return found;
}

function decades(low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const by = Math.ceil((last - first) / 6) || 1;
  return Array.from({ length: Math.floor((last - first) / by) + 1 }, (_, i) => 10 ** (first + i * by));
}
