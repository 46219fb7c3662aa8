import { create } from "zustand";
import { ipc, type NewTemplate, type Template } from "../ipc";

// Templates belong to the application, not to a hub, and every device page shows the same ones.
export const useTemplates = create<{ list: Template[] | null }>(() => ({ list: null }));

export async function readTemplates(): Promise<void> {
  useTemplates.setState({ list: await ipc.listTemplates() });
}

export async function saveTemplate(template: NewTemplate, replace: boolean): Promise<void> {
  await ipc.saveTemplate(template, replace);
  await readTemplates();
}

export async function deleteTemplate(id: string): Promise<void> {
  await ipc.deleteTemplate(id);
  await readTemplates();
}

/** The values to begin with: what is not given is the default, where there is one. */
export const defaultsOf = (template: Template): Record<string, string> =>
  Object.fromEntries(template.variables.map(({ name, default: value }) => [name, value ?? ""]));

/** What is sent to be filled: an empty field without a default has no value, and the error names it. */
export const given = (template: Template, values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    template.variables.flatMap(({ name, default: value }) => (values[name] === "" && value === null ? [] : [[name, values[name] ?? value ?? ""]])),
  );

/** The variables that are now in the body, keeping the defaults that were typed for them. */
export const keptVariables = (names: string[], defaults: Record<string, string>): NewTemplate["variables"] =>
  names.map((name) => ({ name, default: defaults[name]?.trim() ? (defaults[name] ?? null) : null }));
