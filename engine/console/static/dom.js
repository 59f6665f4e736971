// Elements are made by hand and hold text only: what handlers print is somebody else's.

/** An element: attributes, listeners (`onclick`), and children that are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined));
  return element;
}

/** Set the text of an element, and touch it only if it changed. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A label with its field. */
export function field(label, input, hint = null) {
  return h(
    "label",
    {class: "field"},
    h("span", {}, label),
    input,
    hint && h("small", {class: "quiet"}, hint),
  );
}
