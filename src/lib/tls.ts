/** Certificates of the TLS listeners, chosen by the name that the client asks for. */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import {
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TlsOptions,
} from "node:tls";

export interface CertificateFiles {
  /** PEM: the certificate, then its chain. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
}

interface Pair {
  readonly options: SecureContextOptions;
  readonly context: SecureContext;
  readonly certificate: X509Certificate;
}

export interface Certificates {
  /** For `https.createServer`. */
  serverOptions(): TlsOptions;
  /** The server follows reloads from now on. */
  attach(server: Server): void;
  /** Reads all files again. New connections get the new certificates; when one can't be used, nothing changes. @throws Error */
  reload(): Promise<void>;
}

async function loadPair(files: CertificateFiles): Promise<Pair> {
  try {
    const [cert, key] = await Promise.all([readFile(files.cert), readFile(files.key)]);
    const options: SecureContextOptions = { cert, key, minVersion: "TLSv1.2" };
    // Throws when certificate and key do not belong together.
    return { options, context: createSecureContext(options), certificate: new X509Certificate(cert) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`certificate ${files.cert} with key ${files.key} can't be used: ${reason}`, {
      cause: error,
    });
  }
}

/** The pair whose names include this one, exact names before wildcards; undefined: none. */
function choose(pairs: readonly Pair[], name: string): Pair | undefined {
  return (
    pairs.find(({ certificate }) => certificate.checkHost(name, { wildcards: false }) !== undefined) ??
    pairs.find(({ certificate }) => certificate.checkHost(name, { partialWildcards: false }) !== undefined)
  );
}

/** The first pair serves clients that name no host, or one that no certificate has. @throws Error naming the file */
export async function loadCertificates(files: readonly CertificateFiles[]): Promise<Certificates> {
  const loadAll = async () => {
    const pairs = await Promise.all(files.map(loadPair));
    const [first] = pairs;
    if (first === undefined) throw new Error("no certificate given");
    return { pairs, first };
  };
  let current = await loadAll();
  const servers = new Set<Server>();
  return {
    serverOptions: () => ({
      ...current.first.options,
      SNICallback: (name, done) => done(null, (choose(current.pairs, name) ?? current.first).context),
    }),
    attach(server) {
      servers.add(server);
      server.on("close", () => servers.delete(server));
    },
    async reload() {
      current = await loadAll();
      for (const server of servers) server.setSecureContext(current.first.options);
    },
  };
}
