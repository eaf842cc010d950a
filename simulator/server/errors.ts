/** A refusal in OpenAI's form. */
export class ApiError extends Error {
  readonly status: number;
  readonly param: string | null;

  constructor(status: number, message: string, param: string | null = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.param = param;
  }

  /** The body `{"error": {message, type, param, code}}`. */
  body(): string {
    const type = ERROR_TYPES[this.status] ?? (this.status >= 500 ? "InternalServerError" : "APIConnectionError");
    return JSON.stringify({ error: { message: this.message, type, param: this.param, code: this.status } });
  }
}

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "BadRequestError",
  401: "AuthenticationError",
  403: "PermissionDeniedError",
  404: "NotFoundError",
  422: "UnprocessableEntityError",
  429: "RateLimitError",
};
