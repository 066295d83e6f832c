import { render } from "preact";
import { follow } from "./lib/live";
import { Shell } from "./shell";

follow();
render(<Shell />, document.getElementById("app")!);
