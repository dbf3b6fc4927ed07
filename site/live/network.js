// What the page knows of the network that the engine has loaded: its layers by name and in words.

export function networkOf(told) {
  const { layers, input } = told, last = layers.at(-1);
  return {
    ...told,
    readsDigits: input[0] === 28 && input[1] === 28,
    layerOf: (name) => layers.find((layer) => layer.name === name) ?? last,
    wordsOf: (name) => `layer ${1 + layers.findIndex((layer) => layer.name === name)}`,
  };
}

// A value that several views share: whoever listens hears of each new one.
export function topic() {
  const listeners = [];
  return {
    now: undefined,
    on(listener) { listeners.push(listener); },
    tell(value) {
      this.now = value;
      for (const listener of listeners) listener(value);
    },
  };
}
