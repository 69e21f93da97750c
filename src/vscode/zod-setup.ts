import { config } from "zod";

// Imported before any schema is made. In the extension host zod's search for a faster way looks at `navigator`, which VS Code
// reports as an error of the extension.
config({ jitless: true });
