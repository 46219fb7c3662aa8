import { useEffect } from "react";
import { useLocation, useNavigate } from "react-router";
import { readDevices, readUpdates, useActiveHub } from "../store/store";
import { openDialog, useUi } from "../store/ui";

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

/** The keys of the whole window; lists and editors add their own. */
export function useShortcuts() {
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const open = useActiveHub() !== null;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented) return;
      const mod = event.ctrlKey || event.metaKey;
      const free = useUi.getState().dialog === null;
      const key = event.key.toLowerCase();
      if (mod && key === "k") {
        event.preventDefault();
        if (free) openDialog({ kind: "palette" });
      } else if (mod && key === "r") {
        // Without this the web view would reload the whole application.
        event.preventDefault();
        if (open && free) void readDevices();
        if (open && free) readUpdates().catch(() => undefined);
      } else if (mod && key === "n") {
        event.preventDefault();
        if (open && free) openDialog({ kind: "createDevice" });
      } else if (mod && key === "f") {
        event.preventDefault();
        const filter = document.querySelector<HTMLInputElement>("[data-shortcut=filter]");
        filter?.focus();
        filter?.select();
      } else if (event.key === "?" && !typing(event.target) && free) {
        event.preventDefault();
        openDialog({ kind: "shortcuts" });
      } else if (event.key === "Escape" && free && !typing(event.target) && /^\/devices\/.+/.test(pathname)) {
        void navigate("/devices");
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [navigate, pathname, open]);
}
