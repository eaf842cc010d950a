import { MAIN_CONTAINER } from "./pod.ts";

/** Where the model lies in the serving container, and where it is downloaded to. */
export const MODEL_PATH = "/mnt/models";

/** Volume that holds a downloaded model, or the link to one in an image. */
export const MODEL_VOLUME = "kserve-provision-location";

/** Who reads the model. */
export interface ModelTarget {
  readonly container: string;
  /** Folder of the model in that container. */
  readonly path: string;
  /** Whether it reads the LoRA adapters too. */
  readonly adapters: boolean;
}

/** The model server itself. */
export const SERVER_TARGET: ModelTarget = { container: MAIN_CONTAINER, path: MODEL_PATH, adapters: true };
