/** The writer process: the one that commits. Started by primary.ts. */
import { processFamilies } from "../admin/measures.ts";
import { dataPaths } from "../datadir.ts";
import { createLogger } from "../lib/log.ts";
import { startWriter } from "../meta/writer.ts";
import { obey, tell } from "./child.ts";

process.title = "windlass: writer";

let stop: (() => Promise<void>) | undefined;

obey(async (message) => {
  switch (message.kind) {
    case "start": {
      const { config, socket } = message;
      const log = createLogger({ level: config.logLevel, fd: 2, name: "writer" });
      const writer = await startWriter({ path: dataPaths(config).meta, socket, log });
      stop = () => writer.close();
      // It stays up and refuses commits with the reason, so that reads go on and clients learn why.
      void writer.failed.then((error) => tell({ kind: "broken", reason: error.message }));
      tell({ kind: "ready" });
      return;
    }
    case "drain":
      await stop?.();
      process.exit(0);
    case "measure":
      tell({ kind: "measured", id: message.id, families: processFamilies("writer") });
      return;
    case "workers":
    case "retire":
    case "reload":
    case "readonly":
    case "measuredAll":
      return;
  }
});
