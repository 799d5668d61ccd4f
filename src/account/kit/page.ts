// The page of an upload kit: what to do with the files, for a person without a shell.

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

export interface PageFacts {
  /** The application's file, as it was called. */
  readonly app: string;
  readonly wrapper: string;
  /** Of the wrapper's line with Node's path, from 1; and that line. */
  readonly nodeLine: number;
  readonly nodeText: string;
  readonly programFolder: string;
  readonly page: string;
}

/** A whole HTML document. */
export function kitPage(facts: PageFacts): string {
  const { wrapper, nodeLine, nodeText, programFolder, page } = facts;
  const code = (text: string): string => `<code>${escapeHtml(text)}</code>`;
  const steps = [
    `Find out where Node.js is on the host: version 20.19 or newer. The host's help pages or its control panel say so. Usual
     places: ${["/usr/bin/node", "/opt/alt/alt-nodejs22/root/usr/bin/node", "/opt/cpanel/ea-nodejs22/bin/node"].map(code).join(", ")}.`,
    `Edit line ${nodeLine} of ${code(wrapper)}, which is ${code(nodeText)}, and nothing else. Keep the line ends as they are (LF, not
     CRLF). Without an edit the script looks in the usual places itself.`,
    `Upload everything but this page into the folder that the host serves, such as ${code("public_html")}: ${code(".htaccess")} (file
     managers hide it at first), ${code(wrapper)} and the folder ${code(programFolder)}. If there is an ${code(".htaccess")} already, do
     not replace it: put the lines of this one into it, before the first line with ${code("RewriteRule")} or at its end.`,
    `Set the mode (permissions) of ${code(wrapper)} to <strong>755</strong>, of the other files to <strong>644</strong>, of the folders to
     <strong>755</strong>. Many hosts refuse 775 and 777.`,
    `Open the URL of the folder. A file that the application reads itself, such as a template, is not in this kit: upload it into
     ${code(programFolder)}, where the application runs. Images and style sheets for browsers go beside ${code(wrapper)}.`,
  ];
  const failures = [
    `<strong>500</strong>, and the host's error log says ${code("Permission denied")}: the mode of ${code(wrapper)} is not 755.`,
    `<strong>500</strong> with the words ${code("Node.js was not found")}: line ${nodeLine} of ${code(wrapper)}.`,
    `<strong>500</strong>, ${code("No such file or directory")} in the error log: ${code(wrapper)} was saved with CRLF line ends.`,
    `<strong>500</strong>, ${code("not allowed here")} in the error log: the host forbids a line of ${code(".htaccess")}. Ask it for
     ${code("AllowOverride FileInfo Options=ExecCGI")}, or whether CGI is part of your plan.`,
    `<strong>403</strong>, ${code("ExecCGI is off")}: the same.`,
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Upload kit for ${escapeHtml(facts.app)}</title>
<style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem } li { margin: .5rem 0 }</style>
<h1>Upload kit for ${escapeHtml(facts.app)}</h1>
<p>These files run the application as CGI, on a host with Apache and Node.js and without a shell. Nothing is compiled or installed there.</p>
<ol>
${steps.map((step) => `<li>${step}</li>`).join("\n")}
</ol>
<h2>When it does not work</h2>
<ul>
${failures.map((failure) => `<li>${failure}</li>`).join("\n")}
</ul>
<p>This page, ${code(page)}, need not be uploaded; no browser gets it.</p>
`;
}
