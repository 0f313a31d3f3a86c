"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const ORGANS = ["lungs", "heart", "clavicles"]; // in painting order: the last is on top
  const CARDS_PER_STEP = 60;
  const radiographs = [...document.querySelectorAll("script.radiographs")].flatMap((each) => JSON.parse(each.textContent));
  const byId = (id) => document.getElementById(id);
  const gallery = byId("gallery"), dialog = byId("radiograph"), more = byId("more");
  let chosen = []; // radiographs that pass the filters, sorted
  let drawn = 0; // number of chosen radiographs that have a card
  let open = -1; // index in chosen of the enlarged radiograph

  const make = (tag, name, text) => {
    const element = document.createElement(tag);
    if (name) element.className = name;
    if (text !== undefined) element.textContent = text; // not innerHTML: file names are untrusted
    return element;
  };

  const picture = (radiograph) => {
    const { size, jpeg, paths } = radiograph.picture;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${size[0]} ${size[1]}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${radiograph.name} with its masks`);
    const image = document.createElementNS(SVG, "image");
    image.setAttribute("href", `data:image/jpeg;base64,${jpeg}`);
    image.setAttribute("width", size[0]);
    image.setAttribute("height", size[1]);
    svg.append(image);
    for (const organ of ORGANS) {
      const path = document.createElementNS(SVG, "path");
      path.setAttribute("d", paths[organ]);
      path.setAttribute("class", organ);
      svg.append(path);
    }
    return svg;
  };

  const shortName = (radiograph) => radiograph.name.split(/[\\/]/).pop();

  const card = (radiograph, index) => {
    const button = make("button", "card");
    button.type = "button";
    button.title = radiograph.name;
    button.append(radiograph.picture ? picture(radiograph) : make("span", "no-picture", radiograph.error || "no picture: segmented by an earlier run"));
    const caption = make("span", "caption");
    const head = make("span", "name");
    if (radiograph.cells.quality !== undefined) head.append(make("span", "score", radiograph.cells.quality.toFixed(2)));
    head.append(shortName(radiograph));
    caption.append(head);
    if (radiograph.warnings.length) caption.append(make("span", "warnings", radiograph.warnings.join("; ")));
    button.append(caption);
    button.addEventListener("click", () => show(index));
    return button;
  };

  const drawMore = () => {
    const next = chosen.slice(drawn, drawn + CARDS_PER_STEP);
    gallery.append(...next.map((radiograph, index) => card(radiograph, drawn + index)));
    drawn += next.length;
  };

  const pressedChips = () => [...document.querySelectorAll(".chip[aria-pressed=true]")];

  const update = () => {
    const search = byId("find").value.toLowerCase();
    const chips = pressedChips();
    chosen = radiographs.filter((radiograph) => radiograph.name.toLowerCase().includes(search) && (!chips.length ||
      chips.some(({ dataset }) => dataset.status ? radiograph.status === dataset.status : radiograph.warnings.includes(dataset.warning))));
    const order = byId("sort").value, sign = order.startsWith("-") ? -1 : 1, key = order.replace(/^-/, "");
    const value = (radiograph) => radiograph[key] ?? radiograph.cells[key] ?? -Infinity;
    chosen.sort((one, other) => {
      const a = value(one), b = value(other);
      return (a < b ? -sign : a > b ? sign : 0) || one.position - other.position;
    });
    gallery.replaceChildren();
    drawn = 0;
    drawMore();
    byId("shown").textContent = `${chosen.length} of ${radiographs.length} radiographs`;
  };

  // "heart_area_cm2" -> "heart area, cm²"
  const columnLabel = (name) => {
    const unit = name.match(/_(px|mm|cm2)$/)?.[1];
    const words = (unit ? name.slice(0, -unit.length - 1) : name).replaceAll("_", " ");
    return unit ? `${words}, ${unit === "cm2" ? "cm²" : unit}` : words;
  };

  const show = (index) => {
    if (index < 0 || index >= chosen.length) return;
    open = index;
    while (drawn <= index) drawMore();
    const radiograph = chosen[index];
    byId("radiograph-name").textContent = radiograph.name;
    byId("radiograph-warnings").textContent = [radiograph.error, ...radiograph.warnings].filter(Boolean).join("; ");
    byId("large").replaceChildren(radiograph.picture ? picture(radiograph) : make("p", "", "No picture."));
    byId("cells").replaceChildren(...Object.entries(radiograph.cells).map(([name, cell]) => {
      const row = make("tr");
      const number = typeof cell === "number" && !Number.isInteger(cell) ? +cell.toPrecision(4) : cell;
      row.append(make("th", "", columnLabel(name)), make("td", "", String(number)));
      return row;
    }));
    byId("previous").disabled = index === 0;
    byId("next").disabled = index === chosen.length - 1;
    if (!dialog.open) dialog.showModal();
  };

  // Organ switches are on the page and in the enlarged view. Those on the page hold the state.
  const [boxes, copies] = [...document.querySelectorAll(".organs")].map((each) => [...each.querySelectorAll("input")]);
  const showOrgans = () => {
    boxes.forEach((box, index) => {
      copies[index].checked = box.checked;
      document.body.classList.toggle(`hide-${box.value}`, !box.checked);
    });
  };
  boxes.forEach((box, index) => {
    box.addEventListener("change", showOrgans);
    copies[index].addEventListener("change", () => { box.checked = copies[index].checked; showOrgans(); });
  });

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const organ = boxes[Number(event.key) - 1];
    if (organ) organ.checked = !organ.checked;
    else if (event.key === "0") { const any = boxes.some((box) => box.checked); for (const box of boxes) box.checked = !any; }
    else if (dialog.open && event.key === "ArrowLeft") show(open - 1);
    else if (dialog.open && event.key === "ArrowRight") show(open + 1);
    else return;
    showOrgans();
    event.preventDefault();
  });

  byId("previous").addEventListener("click", () => show(open - 1));
  byId("next").addEventListener("click", () => show(open + 1));
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => gallery.children[open]?.focus());
  byId("find").addEventListener("input", update);
  byId("sort").addEventListener("change", update);
  for (const chip of document.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => { chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") === "false"); update(); });
  }
  byId("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) drawMore(); }, { rootMargin: "800px" }).observe(more);
  update();
})();
