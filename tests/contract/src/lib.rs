//! Published bytes, pinned: register map v1, telemetry v1, the OpenAPI document.
