import Database from "better-sqlite3";
import { openMemory } from "../../../src/meta/memory.ts";
import type { Meta } from "../../../src/meta/meta.ts";
import { openSqlite } from "../../../src/meta/sqlite.ts";
import { startWriterThread } from "../../../src/meta/thread.ts";
import { startWriter, type Writer } from "../../../src/meta/writer.ts";
import { contract, type Engine } from "./contract.ts";
import { newPlace, silent, type Place } from "./place.ts";

contract("memory", async () => {
  const meta = openMemory();
  return { meta, dispose: () => meta.close() };
});

contract("sqlite, directly", async () => {
  const place = await newPlace();
  const engine = await onFile(place, () => openSqlite({ path: place.path }));
  return {
    ...engine,
    dispose: async () => {
      await engine.dispose();
      await place.remove();
    },
  };
});

contract("sqlite, through a writer in this thread", () =>
  throughWriter((place) =>
    startWriter({ path: place.path, socket: place.socket, log: silent, reserveBytesMax: 0 }),
  ),
);

contract("sqlite, through a writer in a thread of its own", () =>
  throughWriter((place) =>
    startWriterThread({ path: place.path, socket: place.socket, logLevel: "silent", reserveBytesMax: 0 }),
  ),
);

async function throughWriter(start: (place: Place) => Promise<Writer>): Promise<Engine> {
  const place = await newPlace();
  let writer = await start(place);
  const open = (): Promise<Meta> => openSqlite({ path: place.path, writer: place.socket });
  const engine = await onFile(place, open);
  return {
    ...engine,
    reopen: async () => {
      await engine.dispose();
      await writer.close();
      writer = await start(place);
      return engine.reopen!();
    },
    dispose: async () => {
      await engine.dispose();
      await writer.close();
      await place.remove();
    },
  };
}

async function onFile(place: Place, open: () => Promise<Meta>): Promise<Engine> {
  let current = await open();
  return {
    meta: current,
    second: open,
    reopen: async () => {
      await current.close();
      current = await open();
      return current;
    },
    interfere: (key) => {
      const db = new Database(place.path);
      db.prepare("INSERT INTO kv VALUES (?, ?)").run(key, Buffer.from("from outside"));
      db.close();
    },
    dispose: () => current.close(),
  };
}
