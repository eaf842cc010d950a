/** Schemes of model URIs whose files the storage initializer downloads. */
export const DOWNLOADED_SCHEMES: readonly string[] = ["hf", "s3", "gs", "ms", "https"];

/** All schemes that a model URI may have. */
export const MODEL_SCHEMES: readonly string[] = ["pvc", "oci", "oci+native", ...DOWNLOADED_SCHEMES];
