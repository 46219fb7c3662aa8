import { createHashRouter, Navigate, useParams } from "react-router";
import { DevicePage } from "../features/device/DevicePage";
import { DevicesPage } from "../features/devices/DevicesPage";
import { HistoryTab } from "../features/history/HistoryTab";
import { DeviceJobs } from "../features/jobs/DeviceJobs";
import { JobPage } from "../features/jobs/JobPage";
import { JobsPage } from "../features/jobs/JobsPage";
import { NewJobPage } from "../features/jobs/NewJobPage";
import { LocalHubPage } from "../features/local-hub/LocalHubPage";
import { MethodsTab } from "../features/methods/MethodsTab";
import { FleetPage } from "../features/simulator/FleetPage";
import { ModelsPage } from "../features/simulator/ModelsPage";
import { SimulatorPage } from "../features/simulator/SimulatorPage";
import { TwinTab } from "../features/twin/TwinTab";
import { useWatchedTwin } from "../features/twin/use-watched-twin";
import { UpdatePage } from "../features/updates/UpdatePage";
import { UpdatesPage } from "../features/updates/UpdatesPage";
import { WelcomePage } from "../features/welcome/WelcomePage";
import { useActiveHub, useStore } from "../store/store";
import { RouteError } from "./RouteError";
import { Shell } from "./Shell";

function Start() {
  const open = useStore((model) => model.app?.active !== null);
  return <Navigate to={open ? "/devices" : "/welcome"} replace />;
}

function DeviceRoute() {
  const { id = "" } = useParams();
  const hubId = useActiveHub()?.hub.id ?? "";
  const watch = useWatchedTwin(id);
  return (
    <DevicePage
      key={id}
      deviceId={id}
      twin={<TwinTab key={id} deviceId={id} watch={watch} />}
      methods={<MethodsTab key={id} deviceId={id} />}
      history={<HistoryTab key={`${hubId}/${id}`} deviceId={id} />}
      jobs={<DeviceJobs key={id} deviceId={id} />}
    />
  );
}

export const router = createHashRouter([
  {
    element: <Shell />,
    errorElement: <RouteError />,
    children: [
      { index: true, element: <Start /> },
      { path: "welcome", element: <WelcomePage /> },
      { path: "devices", element: <DevicesPage />, children: [{ path: ":id", element: <DeviceRoute /> }] },
      { path: "simulator/models", element: <ModelsPage /> },
      { path: "simulator/models/:model", element: <ModelsPage /> },
      { path: "simulator", element: <SimulatorPage />, children: [{ path: "fleets/:fleet", element: <FleetPage /> }] },
      { path: "jobs", element: <JobsPage /> },
      { path: "jobs/new", element: <NewJobPage /> },
      { path: "jobs/:id", element: <JobPage /> },
      { path: "updates", element: <UpdatesPage /> },
      { path: "updates/:id", element: <UpdatePage /> },
      { path: "local-hub", element: <LocalHubPage /> },
      { path: "*", element: <Start /> },
    ],
  },
]);
