// The tools of all languages, apart from the rules: an unchanged build asks only for these.

/** Programs by the variable that names them (`CXX`); arguments may follow the program. */
export type Tools = Readonly<Record<string, string>>;

/** What is used where a variable is not set; found on the PATH where the action runs. */
const defaults: Tools = {
  AR: "ar",
  CC: "cc",
  CXX: "c++",
  GO: "go",
  JAR: "jar",
  JAVA: "java",
  JAVAC: "javac",
  NODEJS: "node",
  PYTHON: "python3",
  RUSTC: "rustc",
};

/** Every tool of every language: what the environment names, else the default. */
export function toolsFrom(env: Readonly<Record<string, string | undefined>>): Tools {
  return Object.fromEntries(
    Object.entries(defaults).map(([variable, usual]) => [variable, env[variable] ?? usual]),
  );
}
