declare module "heic-decode" {
  /** RGBA, 8 bits each, upright. */
  interface Decoded {
    readonly width: number;
    readonly height: number;
    readonly data: Uint8ClampedArray;
  }
  interface Heic {
    readonly width: number;
    readonly height: number;
    decode(): Promise<Decoded>;
  }
  interface Decode {
    (input: { readonly buffer: Uint8Array }): Promise<Decoded>;
    /** Reads the container alone; `dispose` gives its memory back. */
    all(input: { readonly buffer: Uint8Array }): Promise<Heic[] & { dispose(): void }>;
  }
  const decode: Decode;
  export default decode;
}
