//! Import and export of the registry (service.md 2.6).
