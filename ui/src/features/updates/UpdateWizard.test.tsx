import { FluentProvider } from "@fluentui/react-components";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { MemoryRouter } from "react-router";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppState, ipc, type Package, type SavedHub } from "../../ipc";
import "../../lib/i18n";
import { emptyModel } from "../../store/model";
import { useStore } from "../../store/store";
import { UpdateWizard } from "./UpdateWizard";

const hub: SavedHub = {
  id: "h",
  alias: "Plant",
  hostName: "plant.azure-devices.net",
  policy: "service",
  kind: "remote",
  colour: "#c50f1f",
  production: true,
  secretPlace: "keychain",
};
const firmware: Package = { id: "p", name: "fw.bin", size: 10, sha256: "00", addedAt: "2026-11-21T00:00:00Z" };

const open = (production: boolean) => {
  const active = { hub: { ...hub, production }, status: "connected", error: null, watch: "query", freshAtMs: 0, devices: 2, connected: 2 };
  useStore.setState({ ...emptyModel(), app: { active } as unknown as AppState });
  render(
    <FluentProvider>
      <MemoryRouter>
        <UpdateWizard deviceIds={["a", "b"]} onClose={() => undefined} />
      </MemoryRouter>
    </FluentProvider>,
  );
};
const start = () => screen.getByTestId<HTMLButtonElement>("start-update");

beforeEach(() => {
  // The dialog would move in and out, and a test that ends would cancel it half-way.
  Object.defineProperty(Element.prototype, "animate", { value: undefined, configurable: true });
  vi.spyOn(ipc, "listPackages").mockResolvedValue([firmware]);
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

test("nothing is chosen for the person, and an update starts only with a package", async () => {
  open(false);
  const choice = await screen.findByLabelText(/fw\.bin/);
  expect(start().disabled).toBe(true);
  fireEvent.click(choice);
  await waitFor(() => expect(start().disabled).toBe(false));
});

test("an address has to be one before an update can start", async () => {
  open(false);
  fireEvent.click(await screen.findByTestId("package-from-uri"));
  const field = await screen.findByTestId("package-uri");
  fireEvent.change(field, { target: { value: "ftp://x/fw.bin" } });
  expect(start().disabled).toBe(true);
  fireEvent.change(field, { target: { value: "https://x/fw.bin" } });
  await waitFor(() => expect(start().disabled).toBe(false));
});

test("a production hub has to be named, exactly, before its devices are touched", async () => {
  const begin = vi.spyOn(ipc, "startUpdate");
  open(true);
  fireEvent.click(await screen.findByLabelText(/fw\.bin/));
  expect(start().disabled).toBe(true);
  fireEvent.change(screen.getByTestId("confirm-name"), { target: { value: "plant" } });
  expect(start().disabled).toBe(true);
  fireEvent.submit(start());
  expect(begin).not.toHaveBeenCalled();
  fireEvent.change(screen.getByTestId("confirm-name"), { target: { value: "Plant" } });
  await waitFor(() => expect(start().disabled).toBe(false));
});
