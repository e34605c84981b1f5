/**
 * Origins that lead back to this server: each request would make another one. What we ask of others is marked (CDN-Loop,
 * RFC 8586), and for a request with our mark nobody else is asked. Files of our own buckets it gets.
 */
import type { ObjectStore } from "../../store/store.ts";

/** The same for all nodes of a store. */
export const loopMark = ({ settings }: Pick<ObjectStore, "settings">): string =>
  `windlass-${settings.derive("loop").slice(0, 16)}`;

/** Whether we made a request ourselves. `loop`: of its CDN-Loop header. */
export const isOurs = (store: Pick<ObjectStore, "settings">, loop: string | undefined): boolean =>
  loop?.split(",").some((one) => one.split(";", 1)[0]!.trim() === loopMark(store)) === true;
