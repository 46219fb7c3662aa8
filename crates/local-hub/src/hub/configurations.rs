//! Configurations: desired properties for every twin that matches (service.md 7).
