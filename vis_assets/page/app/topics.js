// The tree of topics, from coarse to fine, with counts: click to zoom, double click or the button to select.

const topics = (() => {
  const MOST_LISTED = 400;
  let tree = null;

  /** Nodes under a cluster of a layer; under null, the topmost. */
  function childrenOf(layer, index) {
    if (layer === 0) return [];
    return nodesOf(layer - 1).filter(({ cluster }) => cluster.parent === index);
  }

  function nodesOf(layer) {
    return data.layers[layer].clusters
      .map((cluster, index) => ({ layer, index, cluster }))
      .filter(({ cluster }) => cluster.size > 0);
  }

  /** The coarsest layer, and clusters below that have no parent. */
  function roots() {
    const top = data.layers.length - 1;
    const orphans = data.layers.slice(0, top).flatMap((_, layer) => nodesOf(layer).filter(({ cluster }) => cluster.parent < 0));
    return [...nodesOf(top), ...orphans].sort((one, other) => other.cluster.size - one.cluster.size);
  }

  const select = ({ layer, index }) => selection.set(places.membersOf(layer, index).filter(filters.passes), "topic");

  function zoomTo({ layer, index, cluster }) {
    places.flyToTopic(layer, index);
    announce(`${cluster.name}, ${plural(cluster.size, "point")}`);
  }

  function item(node) {
    const { cluster } = node;
    const mark = el("i", { class: "swatch" });
    mark.style.background = cssColor(cluster.color);
    const name = el("button", { type: "button", class: "name", dir: "auto", text: cluster.name, title: [cluster.name, cluster.keyphrases.join(", ")].filter(Boolean).join("\n"), on: { click: () => zoomTo(node), dblclick: () => select(node) } });
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault();
        select(node);
      }
    });
    const pick = el("button", { type: "button", class: "pick", title: "Select its points", aria: { label: `Select the points of ${cluster.name}` }, on: { click: () => select(node) } }, icon(ICONS.box));
    const line = el("span", { class: "line" }, mark, name, el("span", { class: "count", text: formatCount(cluster.size) }), pick);
    const below = childrenOf(node.layer, node.index);
    if (below.length === 0) return el("li", { class: "leaf" }, line);
    const list = el("ul", {});
    const details = el("details", {}, el("summary", {}, line), list);
    details.addEventListener("toggle", () => {
      if (details.open && list.childElementCount === 0) list.append(...below.sort(bySize).map(item));
    });
    for (const button of [name, pick]) button.addEventListener("click", (event) => event.preventDefault());
    return el("li", {}, details);
  }

  const bySize = (one, other) => other.cluster.size - one.cluster.size;

  return {
    start() {
      if (!data.options.enable_topic_tree && data.layers.length === 1) return;
      const body = panel("topics", "Topics", { corner: "top-left", open: data.options.enable_topic_tree });
      const nodes = roots();
      tree = el("ul", { class: "tree" }, ...nodes.slice(0, MOST_LISTED).map(item));
      body.append(tree);
      if (nodes.length > MOST_LISTED) body.append(el("p", { class: "note", text: `and ${formatCount(nodes.length - MOST_LISTED)} smaller ones` }));
    },
  };
})();
