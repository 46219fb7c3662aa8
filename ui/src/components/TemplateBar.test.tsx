import { FluentProvider } from "@fluentui/react-components";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppError, ipc, type NewTemplate, type Template } from "../ipc";
import "../lib/i18n";
import { TemplateBar } from "./TemplateBar";
import { useTemplates } from "../store/templates";

const method: NewTemplate["use"] = { kind: "method", methodName: "lockDoor", responseTimeoutSeconds: 30, connectTimeoutSeconds: 0 };
const door: Template = {
  id: "lock-door",
  builtIn: true,
  name: "Lock the door",
  use: method,
  body: '{"lockTime":"{{lockTime}}"}',
  variables: [{ name: "lockTime", default: "10m" }],
};
const taken: AppError = { code: "AlreadyExists", message: "There is a template called Door already.", hint: null, details: null };

beforeEach(() => {
  Object.defineProperty(Element.prototype, "animate", { value: undefined, configurable: true });
  useTemplates.setState({ list: null });
  vi.spyOn(ipc, "listTemplates").mockResolvedValue([door]);
  vi.spyOn(ipc, "fillTemplate").mockImplementation((_, values) => Promise.resolve(JSON.stringify(values)));
  vi.spyOn(ipc, "checkTemplate").mockResolvedValue({ variables: ["floor"], problem: null });
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

const show = (props: Partial<Parameters<typeof TemplateBar>[0]>) => {
  const onFilled = vi.fn();
  render(
    <FluentProvider>
      <TemplateBar kind="method" onFilled={onFilled} draft={null} {...props} />
    </FluentProvider>,
  );
  return onFilled;
};
const choose = async () => {
  fireEvent.click(screen.getByTestId("template-menu-method"));
  fireEvent.click(await screen.findByTestId("template-lock-door"));
};

test("a chosen template fills the call with its defaults at once, and again with each value", async () => {
  const onFilled = show({});
  await choose();
  await waitFor(() => expect(onFilled).toHaveBeenLastCalledWith(door, '{"lockTime":"10m"}'));
  fireEvent.change(await screen.findByTestId("variable-lockTime"), { target: { value: "8h" } });
  await waitFor(() => expect(onFilled).toHaveBeenLastCalledWith(door, '{"lockTime":"8h"}'));
});

test("with a button nothing is filled in before it is pressed", async () => {
  const onFilled = show({ button: "Put it there" });
  await choose();
  const put = await screen.findByTestId<HTMLButtonElement>("template-use");
  await waitFor(() => expect(put.disabled).toBe(false));
  expect(onFilled).not.toHaveBeenCalled();
  fireEvent.click(put);
  expect(onFilled).toHaveBeenCalledWith(door, '{"lockTime":"10m"}');
});

test("saving under a name that is taken asks before it replaces", async () => {
  const save = vi.spyOn(ipc, "saveTemplate").mockRejectedValueOnce(taken).mockResolvedValueOnce(door);
  show({ draft: { name: "Door", use: method, body: '{"floor":"{{floor}}"}', variables: [] } });
  fireEvent.click(screen.getByTestId("template-save-method"));
  const submit = await screen.findByTestId<HTMLButtonElement>("template-save-submit");
  fireEvent.change(await screen.findByTestId("default-floor"), { target: { value: "3" } });
  await waitFor(() => expect(submit.disabled).toBe(false));
  fireEvent.click(submit);
  await waitFor(() => expect(submit.textContent).toBe("Replace it"));
  fireEvent.click(submit);
  await waitFor(() => expect(screen.queryByTestId("template-save-submit")).toBeNull());
  const kept = { name: "Door", use: method, body: '{"floor":"{{floor}}"}', variables: [{ name: "floor", default: "3" }] };
  expect(save.mock.calls).toEqual([
    [kept, false],
    [kept, true],
  ]);
});
