// The patterns of all maps of the chosen layer, grown once for all views that show them.

import { settled } from "./dom.js";

// `question()` says what is to be grown, without a map. A view listens with {start(question), part, done, failed} and calls
// `want` when it comes into view; what has grown before is told at once.
export function zooOf(engine, question) {
  const listeners = [];
  let grown, kept = [], over;
  const tell = (name, ...values) => listeners.forEach((listener) => listener[name]?.(...values));
  const want = settled(() => {
    const wish = question(), key = JSON.stringify(wish);
    if (grown === key) return;
    [grown, kept, over] = [key, [], undefined];
    tell("start", wish);
    engine.ask("zoo", wish, {
      part: (answer) => { kept.push(answer); tell("part", answer); },
      done: (ms) => { over = ms; tell("done", ms, kept.length); },
      failed: (error) => { grown = undefined; tell("failed", error); } });
  }, 350);
  return {
    want,
    on(listener) {
      listeners.push(listener);
      if (!grown) return;
      listener.start(JSON.parse(grown));
      kept.forEach((answer) => listener.part(answer));
      if (over !== undefined) listener.done?.(over, kept.length);
    },
  };
}
