/** Secrets at rest: AES-256-GCM under the key file, so that a copy of the database gives no secret away. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export interface Secrets {
  /** `context` says what is sealed (an access key id …); what was sealed for another does not open. */
  seal(secret: string, context: string): string;
  /** @throws Error when the key file is another one, or the text was changed */
  unseal(sealed: string, context: string): string;
  /** A secret of its own for each purpose, the same whenever it is asked for: 64 hex digits. */
  derive(purpose: string): string;
}

/**
 * Reads the key file, 64 hex digits; who makes a data directory makes it.
 * @throws Error when it is missing or holds something else
 */
export async function openSecrets(path: string): Promise<Secrets> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new Error(`The key file ${path} can't be read`, { cause });
  });
  const key = Buffer.from(text.trim(), "hex");
  if (key.length !== KEY_BYTES)
    throw new Error(`The key file ${path} does not hold ${KEY_BYTES * 2} hex digits`);
  return secretsOf(key);
}

function secretsOf(key: Buffer): Secrets {
  return {
    derive: (purpose) => createHmac("sha256", key).update(`derive ${purpose}`).digest("hex"),
    seal(secret, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([nonce, cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([sealed, cipher.getAuthTag()]).toString("base64");
    },
    unseal(sealed, context) {
      const bytes = Buffer.from(sealed, "base64");
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return (
          decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8")
        );
      } catch (cause) {
        throw new Error("A stored secret does not open: the key file is not the one it was sealed with", {
          cause,
        });
      }
    },
  };
}
