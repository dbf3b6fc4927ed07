// Questions to the engine and who hears the answers. The engine runs in workers, so that a climb never blocks the page;
// long work has workers of its own, so that it never holds up a moving slider. Knows nothing of networks.

const DESKS = { oip: "quick", digit: "quick", node: "quick", seeds: "side", wishes: "side", change: "side",
  attribution: "side", zoo: "zoo", dream: "dream" };

export class Engine {
  // `files` holds promises of the program and the weights; `makeWorker` makes a worker of the engine.
  constructor(files, makeWorker) {
    Object.assign(this, { files, makeWorker, desks: {}, asked: {}, turns: {} });
  }

  // Resolves to what the engine says of the network it has loaded.
  load() {
    return this.desk("quick").loaded;
  }

  // Asks a question; of several with the same name only the newest is answered in full.
  //   part(answer, question)   each part of the answer
  //   done(ms)                 after the last part
  //   failed(sentence)         the engine could not answer
  //   late                     parts of a question that was replaced count too, until a newer one has some: a moved
  //                            slider then shows what is ready, and never starves
  ask(name, question, { part, done, failed, late = false }) {
    const turn = (this.turns[name] = (this.turns[name] ?? 0) + 1), at = (this.asked[name] ??= new Map());
    if (!late) at.clear();
    at.set(turn, { part, done, failed, question });
    this.desk(DESKS[name]).worker.postMessage({ name, turn, ...question });
  }

  // Ends the work on a question; its further parts are not heard.
  stop(name) {
    this.asked[name]?.clear();
    this.desks[DESKS[name]]?.worker.postMessage({ name: "stop", of: name });
  }

  desk(name) {
    return (this.desks[name] ??= this.opened());
  }

  opened() {
    const worker = this.makeWorker();
    let tell, refuse;
    const loaded = new Promise((resolve, reject) => { [tell, refuse] = [resolve, reject]; });
    worker.onmessage = ({ data }) => {
      if (data.name === "loaded") return data.error ? refuse(new Error(data.error)) : tell(data.network);
      return this.heard(data);
    };
    worker.onerror = (event) => refuse(new Error(event.message || "the worker did not start"));
    Promise.all([this.files.program, this.files.weights]).then(
      ([program, weights]) => worker.postMessage({ load: true, program, weights }), refuse);
    return { worker, loaded };
  }

  heard({ name, turn, ms, error, ...answer }) {
    const over = name.endsWith(" done"), asked = this.asked[over ? name.slice(0, -5) : name], wish = asked?.get(turn);
    if (!wish) return;
    for (const older of asked.keys()) if (older < turn) asked.delete(older);
    if (error) wish.failed?.(error);
    else if (over) wish.done?.(ms);
    else wish.part({ ms, ...answer }, wish.question);
    if (error || over) asked.delete(turn);
  }
}
