<?php
// The cases in PHP, for PHP-FPM.
function plain(string $body): void {
  header('Content-Type: text/plain');
  header('Content-Length: ' . strlen($body));
  echo $body;
}

switch ($_SERVER['PATH_INFO'] ?? '') {
  case '/hello':
    plain('Hello World!');
    break;
  case '/json':
    $number = (int) $_GET['n'];
    $body = json_encode(['name' => $_GET['name'], 'n' => $number, 'doubled' => 2 * $number]);
    header('Content-Type: application/json');
    header('Content-Length: ' . strlen($body));
    echo $body;
    break;
  case '/form':
    plain(count($_POST) . ' ' . strlen($_POST['text']));
    break;
  case '/bytes/64k':
    plain(str_repeat('x', 65536));
    break;
  case '/bytes/1m':
    plain(str_repeat('x', 1048576));
    break;
  case '/stream':
    header('Content-Type: text/plain');
    for ($number = 0; $number < 1000; $number++) {
      printf("chunk %04d of a streamed response, with some text to fill a line\n", $number);
      flush();
    }
    break;
  case '/upload':
    $input = fopen('php://input', 'rb');
    for ($size = 0; ($piece = fread($input, 65536)) !== '' && $piece !== false; $size += strlen($piece));
    plain((string) $size);
    break;
  case '/headers':
    $sent = count(array_filter(array_keys($_SERVER), fn($name) => str_starts_with($name, 'HTTP_X_BENCH_')));
    header('Set-Cookie: seen=1; Path=/');
    header('X-Seen: yes');
    plain($sent . ' ' . count($_COOKIE));
    break;
  default:
    http_response_code(404);
}
