// Made from protos/ by `make protos`.
export const version = "0.1.0";
