//! Digital twins: IoT Plug and Play's view of a twin (service.md 8).
